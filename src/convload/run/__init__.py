"""The parent of a run: starts and steers its processes, makes its folder, shows how it goes."""
