"""What the tables hold, row by row."""

import martlet
from doors import Doors
from local import InjectionRate, LocalDeliveries, QueueProgram
from measurements import Acceptance, EndToEnd, IdleConnections, List, Syncs
from pop3 import Reading
from servers import SINK_DOMAIN


def small_table(scale):
    """Everything but the large queues; `scale` divides the load."""
    def count(number):
        return max(2, number // scale)

    return [
        Acceptance(50, count(20_000), True, "8x"),
        Acceptance(10, count(10_000), True, "6x"),
        Acceptance(1, count(2_000), True, "3x"),
        Syncs(count(10_000)),
        Acceptance(50, count(10_000), False, "3x"),
        Acceptance(10, count(5_000), False, "3x"),
        EndToEnd("SMTP to Maildir, 10 sessions", count(5_000), f"alice@{martlet.HOST}", "3x, at least 2.2x"),
        EndToEnd("SMTP to SMTP, 10 sessions", count(5_000), f"list@{SINK_DOMAIN}", "3x"),
        List(count(10_000)),
        IdleConnections(count(1_000)),
        Doors(50, count(20_000)),
        QueueProgram(count(200)),
        InjectionRate(1, count(500), "5x"),
        InjectionRate(10, count(1000), "4x"),
        LocalDeliveries(count(10_000), count(5_000)),
        Reading(count(1_000)),
    ]
