"""The client as a whole."""

from loopcast.client.access import Access
from loopcast.client.forecasting import Forecasting
from loopcast.client.querying import Querying
from loopcast.client.reading import Reading


class Client(Forecasting, Reading, Querying, Access):
    """A service of Loopcast; one may be shared by threads, as httpx's client is.

    >>> Client("http://127.0.0.1:3000", token="lc_secret")
    Client('http://127.0.0.1:3000')
    """
