"""What a process logs to a run, in files that outlive it, until the server has it.

`segment` is the file of records, `records` what they hold, `folder` the journal of one run by one process, `batches`
cuts it into requests, `courier` makes them, `shipper` is the thread that does so while the run goes on, `leftovers`
ships what ended processes left. Logging is a copy into mapped memory: the pages survive a killed process. Not here:
what may be logged (`values`), which is checked before.
"""

from holdfast.client.journal.courier import Courier
from holdfast.client.journal.folder import Head, Journal, journal_root
from holdfast.client.journal.leftovers import Shipped, ship_leftovers
from holdfast.client.journal.shipper import Shipper

__all__ = ["Courier", "Head", "Journal", "Shipped", "Shipper", "journal_root", "ship_leftovers"]
