"""What Loopcast's service is measured against: the same model behind other servers; `bench_serving` starts them."""
