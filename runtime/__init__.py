"""The control plane: many sessions on one machine, each in a pod of its own."""
