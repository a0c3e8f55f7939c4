# What can be said of the source text alone.
foreach(check includes format shell)
	add_test(NAME style/${check} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/style/${check} ${CMAKE_SOURCE_DIR})
	set_tests_properties(style/${check} PROPERTIES LABELS style SKIP_RETURN_CODE 77)
endforeach()
add_test(NAME style/tidy COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/style/tidy ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
set_tests_properties(style/tidy PROPERTIES LABELS style SKIP_RETURN_CODE 77 TIMEOUT 1800 PROCESSORS 2)
# Not of the text, but of another tree: tests/run builds it.
add_test(NAME tsan/unit COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/style/tsan ${CMAKE_SOURCE_DIR})
set_tests_properties(tsan/unit PROPERTIES LABELS tsan SKIP_RETURN_CODE 77 TIMEOUT 1800 PROCESSORS 2)
