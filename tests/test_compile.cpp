// The compile tests as C++11: after C++ headers, without exceptions and run-time types.
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>
#include "test_compile.c"
