# Runs a page's program and compares what it prints with what the page says. cmake -D PROGRAM=... -D EXPECTED=FILE -P run_and_compare.cmake
execute_process(COMMAND ${PROGRAM} RESULT_VARIABLE status OUTPUT_VARIABLE printed ERROR_VARIABLE complaint)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "failed (${status}):\n${printed}${complaint}")
endif()
file(READ ${EXPECTED} expected)
if(NOT printed STREQUAL expected)
  message(FATAL_ERROR "printed\n${printed}but the page says\n${expected}")
endif()
