# SPDX-License-Identifier: Apache-2.0
# Read at the first project() of a build against the wheels. Targets of Python messages tell whoever
# links them where NumPy and Python lie: those of the wheels on the machine that built them, ours
# in a folder of this checkout, which CMake refuses to export. Nobody needs to be told.

function(_clear_python_includes)
  get_directory_property(imported IMPORTED_TARGETS)
  get_directory_property(own BUILDSYSTEM_TARGETS)
  foreach(target IN LISTS imported own)
    if(target MATCHES "__rosidl_generator_py$")
      set_property(TARGET ${target} PROPERTY INTERFACE_INCLUDE_DIRECTORIES)
    endif()
  endforeach()
endfunction()

cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL _clear_python_includes)
