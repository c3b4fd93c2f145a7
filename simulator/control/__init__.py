"""The JSON API at /simulator/, with which tests and demonstrations control the simulator."""
