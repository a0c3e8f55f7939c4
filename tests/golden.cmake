# What the program makes of the Buildfiles below golden/.
add_test(NAME golden/files COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/golden/check_files $<TARGET_FILE:cbuild> ${CMAKE_SOURCE_DIR})
set_tests_properties(golden/files PROPERTIES LABELS unit TIMEOUT 120)
