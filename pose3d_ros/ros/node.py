# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node `pose3d_estimator`: images in, skeletons out.

The work is done by NodeCore in a thread of its own. What is here is ROS: the life cycle,
parameters, services, diagnostics. Every callback is short, so one executor thread is enough.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from ..errors import describe
from ..messages.diagnostics import ERROR, OK, Status, diagnostic_array
from ..node.topics import NODE_NAME
from ..node.watch import PERIOD_S
from ..settings.node import NodeConfig
from .messages import message_class
from .parameters import Parameters
from .session import Session
from .spinning import run

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
# After `shutdown` the node stays so long, for those who ask for its last state.
FINALIZED_S = 1.0


class EstimatorNode(LifecycleNode):
    """See docs/ros2.md for its topics, parameters and services.

    ended: called some time after the node was finalized. Other arguments are rclpy's.
    """

    def __init__(self, *, ended: Callable[[], None] = lambda: None, **arguments: Any) -> None:
        super().__init__(
            NODE_NAME, automatically_declare_parameters_from_overrides=True, **arguments
        )
        self._ended = ended
        self._session: Session | None = None
        self._state = 'unconfigured'
        self._problem = ''
        self._halt_reason = ''
        self._answer_impossible_transitions()
        self._settings = Parameters(self, self._reconfigure)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        # Something for the executor's thread that the worker can trigger.
        self._failing = self.create_guard_condition(self._deactivate_halted)
        self.create_service(SetBool, '~/enable', self._on_enable)
        self.create_service(Trigger, '~/reset_tracking', self._on_reset_tracking)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        period_s = self.get_parameter('diagnostics_period_s').value
        self.create_timer(period_s, self._diagnose, clock=self._steady)
        self.create_timer(PERIOD_S, self._look, clock=self._steady)
        self._jump_handle = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False
            ),
            post_callback=self._on_time_jump,
        )
        self._autostart = None
        if self.get_parameter('autostart').value:
            self._autostart = self._once(0.0, self._start)

    @property
    def state(self) -> str:
        """The state of the life cycle."""
        return self._state

    # Life cycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the models, make the publishers."""
        try:
            self._session = Session(self, self._settings.config(), self._on_halt)
        except Exception as error:
            return self._failure('cannot configure', error)
        self._settings.configured = True
        self._halt_reason = ''
        return self._reached('inactive', super().on_configure(state))

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe, start to work."""
        result = super().on_activate(state)
        try:
            self._loaded.activate()
        except Exception as error:
            self._loaded.deactivate()
            super().on_deactivate(state)
            return self._failure('cannot activate', error)
        return self._reached('active', result)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, publish one empty array and remove the markers."""
        self._loaded.deactivate()
        result = self._reached('inactive', super().on_deactivate(state))
        if self._halt_reason:
            self._problem = self._halt_reason
            return TransitionCallbackReturn.ERROR
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of models and publishers."""
        self._release()
        return self._reached('unconfigured', super().on_cleanup(state))

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything, from any state."""
        if self._state == 'active':
            self._loaded.deactivate()
        self._release()
        self._once(FINALIZED_S, self._ended)
        return self._reached('finalized', super().on_shutdown(state))

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After too many failed images: let go of everything, ready to be configured again."""
        if self._state == 'active':
            self._loaded.deactivate()
        self._release()
        self._state = 'unconfigured'
        super().on_error(state)
        return SUCCESS

    def _answer_impossible_transitions(self) -> None:
        """Rclpy raises for a transition that the state does not have, and the caller waits."""
        service = getattr(self, '_service_change_state', None)
        if service is None:
            return
        change_state = service.callback

        def answer(request: Any, response: Any) -> Any:
            try:
                return change_state(request, response)
            except Exception as error:
                self.get_logger().error(f'no such transition from {self._state}: {error}')
                response.success = False
                return response

        service.callback = answer

    @property
    def _loaded(self) -> Session:
        assert self._session is not None
        return self._session

    def _reached(self, state: str, result: TransitionCallbackReturn) -> TransitionCallbackReturn:
        self._state, self._problem = state, ''
        self._diagnose()
        return result

    def _failure(self, what: str, error: Exception) -> TransitionCallbackReturn:
        line = describe(error)
        if isinstance(error, ImportError):
            line += (
                "; install the package's Python dependencies for this Python "
                '(docs/ros2.md: a virtual environment with system packages)'
            )
        self._problem = f'{what}: {line}'
        self.get_logger().error(self._problem)
        self._diagnose()
        return FAILURE

    def _release(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
        self._settings.configured = False

    def _start(self) -> None:
        if self._state == 'unconfigured' and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def _on_halt(self, reason: str) -> None:
        self._halt_reason = f'gave up after too many failed images: {reason}'
        self._failing.trigger()

    def _deactivate_halted(self) -> None:
        if self._halt_reason and self._state == 'active':
            self.trigger_deactivate()

    # Parameters, services, time

    def _reconfigure(self, config: NodeConfig) -> None:
        if self._session is not None:
            self._session.configure(config)

    def _on_enable(self, request: Any, response: Any) -> Any:
        parameter = Parameter('enabled', Parameter.Type.BOOL, bool(request.data))
        result = self.set_parameters([parameter])[0]
        response.success = result.successful
        response.message = result.reason or ('enabled' if request.data else 'paused')
        return response

    def _on_reset_tracking(self, request: Any, response: Any) -> Any:
        response.success = self._session is not None
        if self._session is not None:
            self._session.core.reset()
            response.message = 'tracks and filters are forgotten'
        else:
            response.message = f'the node is {self._state}'
        return response

    def _on_time_jump(self, jump: Any) -> None:
        if self._session is not None:
            self.get_logger().info('time went backwards: tracks and filters are forgotten')
            self._session.time_jumped_back()

    def _look(self) -> None:
        if self._state == 'active':
            self._loaded.look()

    def _diagnose(self) -> None:
        """Publish the state of the life cycle and, while the node is active, all the others."""
        statuses = [self._lifecycle_status()]
        if self._state == 'active':
            statuses += self._loaded.statuses()
        self._diagnostics.publish(
            diagnostic_array(
                message_class,
                statuses,
                stamp_ns=self.get_clock().now().nanoseconds,
                node=self.get_fully_qualified_name(),
            )
        )

    def _lifecycle_status(self) -> Status:
        return Status(
            'lifecycle', ERROR if self._problem else OK, self._problem or self._state,
            {'state': self._state},
        )  # fmt: skip

    def _once(self, seconds: float, callback: Callable[[], None]) -> Any:
        """Call once in the executor's thread; by the steady clock: simulated time may rest."""

        def fire() -> None:
            self.destroy_timer(timer)
            callback()

        timer = self.create_timer(seconds, fire, clock=self._steady)
        return timer

    def destroy_node(self) -> None:
        """Stop the work, whatever the state, and take the node down."""
        if self._state in ('active', 'inactive', 'unconfigured'):
            self.trigger_shutdown()
        super().destroy_node()


def main(stop: threading.Event) -> int:
    """Run the node until `stop` is set or it was finalized; the exit code."""
    return run(lambda: EstimatorNode(ended=stop.set), stop)
