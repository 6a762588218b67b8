"""Describes each way to ask a model: its parameters, its answer, its stream."""
