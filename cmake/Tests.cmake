# SPDX-License-Identifier: MIT
# tests/FLOOR/test_NAME.c -> the test FLOOR/NAME, an executable of its own. A test links its floor and those before it
# (`ops` the device as well, since its kernels run there). tests/FLOOR/helpers*.c go into every test of the floor,
# tests/helpers into those that call them.
#
# Labels: `unit` needs no device; `device` runs once on every Vulkan driver of the machine, `validation` under the
# Khronos layer (tests/drivers/register.cmake); `parity` checks the numbers of tests/cases, on every driver too;
# `breakage` builds igvk with a fault planted and requires that a test notices (tests/breakages/run.cmake); `slow` takes
# minutes (tests/slow).

set(test_environment "XDG_CACHE_HOME=${CMAKE_BINARY_DIR}/cache")
set(sanitize_sources)
if(IGVK_SANITIZE)
  set(sanitize_sources tests/sanitize/keep_loaded.c)
  # GCC 12's leak checker crashes on the thread-local storage of SwiftShader that it tracks.
  list(APPEND test_environment "ASAN_OPTIONS=intercept_tls_get_addr=0")
  list(APPEND test_environment
       "LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/sanitize/leaks.supp:print_suppressions=0")
endif()

set(unit_floors core formats graph models data cli)
set(unit_tests api/export api/tiles ops/table sampling/diffusion sampling/dopri5 sampling/schedule training/run_folder
    vulkan/control_group)
# Device tests that also run by descriptors (those of ops do both by themselves), and those that also run under the
# validation layer.
set(descriptor_tests "^(sampling|training)/")
set(validation_tests "^((ops|sampling|training)/|vulkan/(store|program)$)")

# Device tests are registered by CTest when it starts; here they are written down for it.
set(device_test_list "")
function(igvk_add_device_test name label)
  set(forms)
  if(name MATCHES "${descriptor_tests}")
    list(APPEND forms descriptors)
  endif()
  if(name MATCHES "${validation_tests}")
    list(APPEND forms validation)
  endif()
  list(TRANSFORM ARGN PREPEND " \"")
  list(TRANSFORM ARGN APPEND "\"")
  list(JOIN ARGN "" command)
  set(device_test_list "${device_test_list}device_test(${name} ${label} \"${forms}\"${command})\n" PARENT_SCOPE)
endfunction()

file(GLOB helper_sources CONFIGURE_DEPENDS tests/helpers/*.c)
if(helper_sources AND "vulkan" IN_LIST IGVK_FLOORS)
  add_library(test_helpers STATIC ${helper_sources})
  target_link_libraries(test_helpers PUBLIC floor_vulkan)
  target_include_directories(test_helpers PRIVATE tests ${CMOCKA_HEADERS})
endif()

function(igvk_add_test floor source)
  get_filename_component(name ${source} NAME_WE)
  string(REGEX REPLACE "^test_" "" name ${name})
  set(target test_${floor}_${name})
  file(GLOB floor_helpers CONFIGURE_DEPENDS tests/${floor}/helpers*.c)
  add_executable(${target} ${source} ${floor_helpers} ${sanitize_sources})
  target_include_directories(${target} PRIVATE tests ${CMOCKA_HEADERS})
  target_compile_definitions(${target} PRIVATE IGVK_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                               IGVK_BINARY_DIR="${CMAKE_BINARY_DIR}")
  set(libraries floor_${floor})
  if(floor STREQUAL cli)
    set(libraries program_parts)
  elseif(NOT floor IN_LIST unit_floors AND TARGET test_helpers)
    set(libraries test_helpers floor_${floor} floor_vulkan)
  endif()
  target_link_libraries(${target} PRIVATE ${libraries} ${CMOCKA_LIBRARY})
  if(IGVK_SANITIZE)
    target_link_options(${target} PRIVATE -Wl,--export-dynamic-symbol=dlclose)
  endif()
  if(floor IN_LIST unit_floors OR ${floor}/${name} IN_LIST unit_tests)
    add_test(NAME ${floor}/${name} COMMAND ${target} WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
    # 77: the test found that it cannot run here, and said why.
    set_tests_properties(${floor}/${name} PROPERTIES LABELS unit TIMEOUT 300 SKIP_RETURN_CODE 77
                         ENVIRONMENT "${test_environment}")
  else()
    igvk_add_device_test(${floor}/${name} device ${CMAKE_BINARY_DIR}/${target})
    set(device_test_list "${device_test_list}" PARENT_SCOPE)
  endif()
endfunction()

foreach(floor IN LISTS IGVK_FLOORS)
  file(GLOB test_sources CONFIGURE_DEPENDS tests/${floor}/test_*.c)
  foreach(source IN LISTS test_sources)
    igvk_add_test(${floor} ${source})
  endforeach()
endforeach()

# tests/test_NAME.sh and tests/cli/test_NAME.sh: shell scripts that get the source folder and, those of cli, the program.
find_program(BASH bash)
set(device_scripts cli/examples cli/quickstart cli/sample cli/torch_forward)
file(GLOB script_sources CONFIGURE_DEPENDS tests/test_*.sh tests/cli/test_*.sh)
foreach(source IN LISTS script_sources)
  file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR}/tests ${source})
  string(REGEX REPLACE "test_(.*)\\.sh$" "\\1" name ${name})
  if(name MATCHES "^cli/" AND NOT TARGET igvk)
    continue()
  endif()
  set(command ${BASH} ${source} ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/igvk)
  if(NOT BASH)
    message(STATUS "No bash: the test ${name} is left out")
  elseif(name IN_LIST device_scripts)
    igvk_add_device_test(${name} device ${command})
  else()
    add_test(NAME ${name} COMMAND ${command})
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 600 SKIP_RETURN_CODE 77
                         ENVIRONMENT "${test_environment}")
  endif()
endforeach()

# tests/slow/test_NAME.sh: the same, with a device.
if(BASH AND TARGET igvk)
  file(GLOB slow_sources CONFIGURE_DEPENDS tests/slow/test_*.sh)
  foreach(source IN LISTS slow_sources)
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "^test_" "" name ${name})
    igvk_add_device_test(slow/${name} slow ${BASH} ${source} ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/igvk)
  endforeach()
endif()

# tests/cases/NAME: numbers of an independent reference (tests/cases/README.md).
if(TARGET igvk)
  file(GLOB case_files CONFIGURE_DEPENDS tests/cases/*/case.json)
  foreach(file IN LISTS case_files)
    get_filename_component(folder ${file} DIRECTORY)
    get_filename_component(name ${folder} NAME)
    igvk_add_device_test(parity/${name} parity ${CMAKE_BINARY_DIR}/igvk parity ${folder})
  endforeach()
  igvk_add_device_test(parity/built-in parity ${CMAKE_BINARY_DIR}/igvk parity)
  if(BASH)
    igvk_add_device_test(parity/folders parity ${BASH} ${CMAKE_SOURCE_DIR}/tests/cases/test_parity.sh
                         ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/igvk)
  endif()
endif()

# ---- tests of every driver -----------------------------------------------------------------------------
if("vulkan" IN_LIST IGVK_FLOORS)
  add_executable(driver_probe tests/drivers/probe.c ${sanitize_sources})
  target_link_libraries(driver_probe PRIVATE floor_vulkan)
  target_include_directories(driver_probe PRIVATE ${CMAKE_BINARY_DIR}/generated)
  file(CONFIGURE OUTPUT device_tests.cmake CONTENT [[
# SPDX-License-Identifier: MIT
# Generated by cmake/Tests.cmake.
set(tests_cmake "@CMAKE_COMMAND@")
set(tests_probe "@CMAKE_BINARY_DIR@/driver_probe")
set(tests_folder "@CMAKE_BINARY_DIR@")
set(tests_environment "@test_environment@")
include("@CMAKE_SOURCE_DIR@/tests/drivers/register.cmake")
@device_test_list@]] @ONLY)
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${CMAKE_BINARY_DIR}/device_tests.cmake)
endif()

# ---- tests of the tests --------------------------------------------------------------------------------
# igvk_breakage(NAME TARGET NOTICED_BY [ARGUMENT]): see tests/breakages/run.cmake.
function(igvk_breakage name target noticed_by)
  if(NOT TARGET ${target})
    return()
  endif()
  set(probe)
  if(NOT target MATCHES "^test_graph_")
    set(probe -DPROBE=${CMAKE_BINARY_DIR}/driver_probe)
  endif()
  add_test(NAME breakage/${name}
           COMMAND ${CMAKE_COMMAND} -DBREAK=${name} -DTARGET=${target} -DNOTICED_BY=${noticed_by}
                   -DARGUMENT=${ARGN} ${probe}
                   -DSOURCE=${CMAKE_SOURCE_DIR} -DFOLDER=${CMAKE_BINARY_DIR}/breakages -DCOMPILER=${CMAKE_C_COMPILER}
                   -P ${CMAKE_SOURCE_DIR}/tests/breakages/run.cmake)
  set_tests_properties(breakage/${name} PROPERTIES LABELS breakage TIMEOUT 1800 RESOURCE_LOCK breakages
                       SKIP_REGULAR_EXPRESSION "skipped: " ENVIRONMENT "${test_environment}")
endfunction()

if(NOT IGVK_BREAK)
  igvk_breakage(BARRIER test_graph_barrier "FAILED  . test_")
  igvk_breakage(KERNEL_TAIL test_ops_elementwise "gate_gradient")
  igvk_breakage(GRADIENT test_ops_elementwise "activation_gradient")
  igvk_breakage(RANDOM_COUNTER test_ops_random "normal")
  igvk_breakage(RESUME_FIELD test_training_loop "FAILED  . resumed_runs" "resumed_runs*")
endif()
