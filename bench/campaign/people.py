"""What people do in the middle of a night: submit and be killed, submit twice, overlap, cancel, requeue.

Each ends with what the person wanted: whoever was killed or refused tries again until the command ends well.
"""

import random
import time

from aftercall.models import Submission
from bench.campaign.faults import NONE_HELD, Kind, Part
from bench.campaign.night import Export, write_export
from bench.campaign.site import Site
from tests.fixtures.killed_submit import POINTS


class Desk:
    """Where the night's exports lie until somebody submits them."""

    def __init__(self, exports: list[Export]) -> None:
        self._waiting = exports

    def take(self, site: Site, draw: random.Random) -> Export:
        """The next export; one that was submitted before if there is none left."""
        if not self._waiting:
            return draw.choice(site.begun)
        export = self._waiting.pop(0)
        site.begun.append(export)
        return export

    def submit_next(self, site: Site, draw: random.Random) -> frozenset[int]:
        """As planned, nothing broken."""
        site.run_until_done("submit", str(self.take(site, draw).path))
        return NONE_HELD

    def submit_rest(self, site: Site, draw: random.Random) -> None:
        """Whatever is still there at the end."""
        while self._waiting:
            self.submit_next(site, draw)

    def submit_killed(self, site: Site, draw: random.Random) -> frozenset[int]:
        """Killed at a random point of its way or a random moment, then started again."""
        source = str(self.take(site, draw).path)
        if draw.random() < 0.5:
            command = site.start_command("submit", source, kill_point=draw.choice(sorted(POINTS)))
        else:
            command = site.start_command("submit", source)
            time.sleep(draw.uniform(0.05, 0.5))
            command.process.kill()
        site.finish_command(command)
        site.run_until_done("submit", source)
        return NONE_HELD

    def submit_twice(self, site: Site, draw: random.Random) -> frozenset[int]:
        """The same export by two people at once."""
        return self._submit_at_once(site, [self.take(site, draw)] * 2)

    def submit_overlapping(self, site: Site, draw: random.Random) -> frozenset[int]:
        """An export that holds half of another one in the opposite order, both at once."""
        export = self.take(site, draw)
        ids = draw.sample(export.external_ids, len(export.external_ids) // 2)
        path = site.folder / f"overlapping-{len(site.begun)}.csv"
        other = write_export(path, sorted(ids, key=export.external_ids.index, reverse=True))
        site.begun.append(other)
        return self._submit_at_once(site, [export, other])

    def _submit_at_once(self, site: Site, exports: list[Export]) -> frozenset[int]:
        for command in [site.start_command("submit", str(export.path)) for export in exports]:
            site.finish_command(command)
        for export in exports:
            site.run_until_done("submit", str(export.path))
        return NONE_HELD

    def cancel(self, site: Site, draw: random.Random) -> frozenset[int]:
        """Cancelled while it runs, then taken up again and submitted again."""
        export = draw.choice(site.begun)
        numbers = [number for number, name in site.fetch(Submission.id, Submission.name) if name == export.path.name]
        if numbers:
            site.run_until_done("cancel", str(numbers[0]))
            time.sleep(draw.uniform(0, 0.8))
            site.run_until_done("requeue", str(numbers[0]), "--cancelled")
        site.run_until_done("submit", str(export.path))
        return NONE_HELD

    def requeue(self, site: Site, draw: random.Random) -> frozenset[int]:
        """At any time, also what failed, also while nothing is wrong."""
        site.run_until_done("requeue", *draw.choice([[], ["--failed"]]))
        return NONE_HELD

    def kinds(self) -> tuple[Kind, ...]:
        """What people do, as kinds of fault."""
        return (
            Kind("submit: killed, started again", Part.PEOPLE, self.submit_killed),
            Kind("submit: twice at once", Part.PEOPLE, self.submit_twice),
            Kind("submit: overlapping exports at once", Part.PEOPLE, self.submit_overlapping),
            Kind("cancel, requeue and resubmit", Part.PEOPLE, self.cancel),
            Kind("requeue", Part.PEOPLE, self.requeue),
        )
