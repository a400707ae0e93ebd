"""From a configuration to trials, and the trials through their rounds, stored and told."""
