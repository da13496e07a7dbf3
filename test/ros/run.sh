#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the package in the ROS 2 of this machine, into build/ros, and runs test/ros in it.
# Arguments go to pytest, as in: test/ros/run.sh -k markers
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
work=$root/build/ros
mkdir -p "$work"
# Some colcon would take what lies here for packages.
touch "$root/build/COLCON_IGNORE"

say() { printf '\n== %s\n' "$*"; }

# The environment of the caller, a virtual one say, is not that of ROS.
unset VIRTUAL_ENV PYTHONHOME PYTHONPATH
if [ -z "${AMENT_PREFIX_PATH:-}" ] || [ -z "${ROS_DISTRO:-}" ]; then
    setup=$(ls /opt/ros/*/setup.bash | tail -n 1)
else
    setup=$(tr ':' '\n' <<<"$AMENT_PREFIX_PATH" | tail -n 1)/setup.bash
    unset AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH
fi
say "Using $setup"
set +u
# shellcheck disable=SC1090
. "$setup"
set -u

# The Python that this ROS was built for is the one that its own programs name.
python=$(head -n 1 "$(command -v ros2)" | sed 's/^#! *//')
"$python" -c 'import rclpy' || { echo "$python cannot import rclpy" >&2; exit 1; }
command -v colcon >/dev/null || { echo 'colcon is missing: apt install python3-colcon-common-extensions' >&2; exit 1; }
PATH=$(dirname "$python"):$PATH
export POSE3D_ROS_PYTHON=$python

venv=$work/venv
if [ ! -e "$venv/.installed" ] || [ pyproject.toml -nt "$venv/.installed" ]; then
    say "Making $venv: $python with system packages, and the dependencies from pip"
    "$python" -m venv --system-site-packages "$venv"
    numpy=$("$python" -c 'import numpy; print(int(numpy.__version__.split(".")[0]) + 1)')
    # Of the generation that cv_bridge and the system's SciPy were compiled for.
    "$venv/bin/python" -m pip install --disable-pip-version-check --quiet \
        "numpy<$numpy" pytest --editable .
    touch "$venv/.installed"
fi

say 'Building with colcon into build/ros'
(
    cd "$work"
    colcon --log-base log build --base-paths "$root" --build-base build --install-base install \
        --event-handlers console_direct+ --cmake-args -DPython3_EXECUTABLE="$python" \
        --no-warn-unused-cli >build.log 2>&1 || { cat build.log; exit 1; }
    tail -n 2 build.log
)
set +u
# shellcheck disable=SC1091
. "$work/install/setup.bash"
set -u

# Activated, as the documentation says, so that the nodes find what pip installed.
export VIRTUAL_ENV=$venv PATH=$venv/bin:$PATH
say 'Fetching the models of BlazePose'
ros2 run pose3d_ros pose3d models fetch blazepose || echo 'The tests with the real network will be skipped.'

for candidate in "${VENV:-$root/.venv}/bin/python"; do
    if env -u PYTHONPATH "$candidate" -c 'import cyclonedds, rosbags' 2>/dev/null; then
        export POSE3D_STANDALONE_PYTHON=$candidate
    fi
done

say 'Testing'
cd test/ros  # not the checkout, whose modules would hide the installed ones
exec "$venv/bin/python" -m pytest "$@"
