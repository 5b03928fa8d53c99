"""The JSON API: what may be asked, who may ask, and how it is answered. What is decided stands in `loopcast`."""
