"""Pure rules about forecasts."""
