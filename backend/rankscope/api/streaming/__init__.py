"""Live feeds: events and logs while a run is in progress."""
