"""Is it good, is it better: metrics, walk-forward backtest, gate and report."""
