"""Plans under xdist: what may run side by side, which worker gets what, and what workers need for it."""
