# SPDX-License-Identifier: MIT
# What the build needs. All that is missing is told at once, each with its Debian package.

set(missing_packages)
function(igvk_need found what package)
  if(NOT ${found})
    message(STATUS "Missing: ${what} (Debian package ${package})")
    set(missing_packages ${missing_packages} ${package} PARENT_SCOPE)
  endif()
endfunction()

find_path(VULKAN_HEADERS vulkan/vulkan_core.h)
igvk_need(VULKAN_HEADERS "the Vulkan headers" libvulkan-dev)
find_path(VOLK_HEADERS volk.c PATH_SUFFIXES volk)
igvk_need(VOLK_HEADERS "volk, the Vulkan loader's loader (volk.h and volk.c)" libvulkan-volk-dev)
find_path(STB_HEADERS stb/stb_image_write.h)
igvk_need(STB_HEADERS "stb_image_write.h" libstb-dev)
find_path(JANSSON_HEADERS jansson.h)
find_library(JANSSON_LIBRARY jansson)
igvk_need(JANSSON_LIBRARY "jansson" libjansson-dev)
find_package(PNG QUIET)
igvk_need(PNG_FOUND "libpng" libpng-dev)
find_package(JPEG QUIET)
igvk_need(JPEG_FOUND "libjpeg" libjpeg-dev)
find_package(Freetype QUIET)
igvk_need(FREETYPE_FOUND "FreeType" libfreetype-dev)
find_package(ZLIB QUIET)
igvk_need(ZLIB_FOUND "zlib" zlib1g-dev)
find_package(Threads REQUIRED)

find_program(GLSLC glslc)
find_program(GLSLANG_VALIDATOR NAMES glslangValidator glslang)
if(NOT GLSLC AND NOT GLSLANG_VALIDATOR)
  igvk_need(GLSLC "a compiler of shaders, glslc or glslangValidator" glslc)
endif()
find_program(SPIRV_VAL spirv-val)
igvk_need(SPIRV_VAL "spirv-val" spirv-tools)
if(IGVK_TESTS)
  find_path(CMOCKA_HEADERS cmocka.h)
  find_library(CMOCKA_LIBRARY cmocka)
  igvk_need(CMOCKA_LIBRARY "cmocka (or configure with -DIGVK_TESTS=OFF)" libcmocka-dev)
endif()

if(missing_packages)
  list(JOIN missing_packages " " packages)
  message(FATAL_ERROR "Some dependencies are missing. On Debian: apt install ${packages}")
endif()

# volk's function pointers are named as Vulkan's functions. Renamed, they cannot clash with those of a program
# that links the static library and calls Vulkan by itself.
file(STRINGS ${VOLK_HEADERS}/volk.h volk_lines REGEX "^extern PFN_vk|^(VkResult|void|uint32_t|VkInstance|VkDevice) volk")
set(renames "// SPDX-License-Identifier: MIT\n// Generated from volk.h by cmake/Dependencies.cmake.\n")
foreach(line IN LISTS volk_lines)
  string(REGEX REPLACE "^(extern )?[A-Za-z0-9_]+ (v[A-Za-z0-9]+).*" "\\2" name "${line}")
  string(APPEND renames "#define ${name} hidden_${name}\n")
endforeach()
file(CONFIGURE OUTPUT generated/volk_names.h CONTENT "${renames}" @ONLY)

add_library(igvk_dependencies INTERFACE)
target_include_directories(igvk_dependencies SYSTEM INTERFACE
  ${VULKAN_HEADERS} ${VOLK_HEADERS} ${STB_HEADERS} ${JANSSON_HEADERS})
target_link_libraries(igvk_dependencies INTERFACE
  ${JANSSON_LIBRARY} PNG::PNG JPEG::JPEG Freetype::Freetype ZLIB::ZLIB Threads::Threads ${CMAKE_DL_LIBS} m)
