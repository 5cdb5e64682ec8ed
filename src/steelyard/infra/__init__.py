"""The cellar: what touches threads, disks, processes, networks and model files."""
