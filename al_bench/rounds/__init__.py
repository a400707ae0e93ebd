"""One trial: its rounds of fit, evaluation, selection and labeling."""
