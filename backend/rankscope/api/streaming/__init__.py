"""Live feeds: events and logs while a run is going on."""
