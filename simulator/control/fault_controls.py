"""Show, set and clear the faults."""

from aiohttp import web

from simulator.control.input import json_body
from simulator.faults.fault_parsing import initial_faults, parse_faults
from simulator.faults.serialization import faults_json
from simulator.state import STATE


async def show_faults(request: web.Request) -> web.Response:
    return web.json_response(faults_json(request.app[STATE].faults))


async def set_faults(request: web.Request) -> web.Response:
    state = request.app[STATE]
    state.faults = parse_faults(await json_body(request), state.settings)
    return web.json_response(faults_json(state.faults))


async def clear_faults(request: web.Request) -> web.Response:
    state = request.app[STATE]
    state.faults = initial_faults(state.settings)
    return web.json_response(faults_json(state.faults))
