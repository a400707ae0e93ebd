"""Networks: built from an input shape and a number of classes, split at the first dropout layer."""
