# SPDX-License-Identifier: Apache-2.0
"""A fusion as files and nodes run it: views as they come, results when they are due."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import InputError
from ..settings.fusion import FusionConfig, check_names
from ..skeleton import Skeleton, get_skeleton
from .fuser import Fuser, FusionResult
from .health import CameraHealth
from .schedule import Schedule, Verdict
from .sighting import View


class FusionSession:
    """Several cameras in, results out. report: takes each problem once, with the camera's name."""

    def __init__(
        self, cameras: Sequence[str], config: FusionConfig, report: Callable[[str], None]
    ) -> None:
        check_names(list(cameras))
        self.cameras, self._config, self._report = tuple(cameras), config, report
        self.fuser: Fuser | None = None
        if config.output_convention:
            self.fuser = Fuser(get_skeleton(config.output_convention), self.cameras)
        self._schedule = Schedule(
            cameras, round(1e9 / config.fusion_rate_hz), round(config.fusion_delay_ms * 1e6)
        )
        self._reported: set[str] = set()
        self._ended: tuple[int, ...] = ()

    @property
    def skeleton(self) -> Skeleton | None:
        """Of the results; None until somebody was seen, if the settings leave it open."""
        return None if self.fuser is None else self.fuser.skeleton

    def add(self, view: View) -> bool:
        """Take in a view; whether it was of use."""
        verdict = self._schedule.note(view.source, view.stamp_ns)
        if verdict in (Verdict.OLD, Verdict.ASTRAY):
            self.problem(view.source, f'the stamp is {verdict.value}: not used')
            return False
        if verdict is Verdict.RESTART:
            self.problem('', f'{verdict.value}: people are forgotten')
            self._ended += () if self.fuser is None else self.fuser.reset()
        if self.fuser is None:
            if not view.people:
                return True
            self.fuser = Fuser(view.people[0].skeleton, self.cameras)
        try:
            self.fuser.add(view)
        except InputError as error:
            self.problem(view.source, str(error))
            return False
        return True

    def due(self, now_ns: int) -> list[FusionResult]:
        """The results that are due. now_ns: by the clock that stamps views."""
        times = self._schedule.due(now_ns)
        if self.fuser is None:
            return []
        out = []
        for stamp_ns in times:
            result = self.fuser.fuse(stamp_ns)
            if self._ended:
                ended = self._ended + result.ended
                result = FusionResult(stamp_ns, result.people, result.cameras, ended)
                self._ended = ()
            out.append(result)
        if out:
            for state in self.states(now_ns):
                # A number in the line would make it a new one each time.
                if state.problem:
                    self.problem(state.name, state.problem, key=state.problem.split(' ')[0])
        return out

    def states(self, now_ns: int) -> list[CameraHealth]:
        """How each camera does."""
        return [] if self.fuser is None else self.fuser.states(now_ns)

    def problem(self, source: str, line: str, key: str = '') -> None:
        """Report a problem of a camera unless one like it was reported."""
        if (name := f'{source}: {key or line}') not in self._reported:
            self._reported.add(name)
            self._report(f'{source}: {line}' if source else line)
