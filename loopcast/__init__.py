"""Forecasting in production, kept true: what is decided, apart from where and when it runs."""

__version__ = "0.1.0"
