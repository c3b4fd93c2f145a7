"""Pages about communications: search, one communication, proof of notice and exports."""
