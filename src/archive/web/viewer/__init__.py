"""The viewer at /viewer: OHIF when it is installed (`ohif`), else, and always at /viewer/light, the built-in one."""
