#!/bin/sh
# Prints the linker flag of an installed CBLAS, or nothing. Environment: CC, BUILD.
CC=${CC:-cc} probe=${BUILD:-build}/cblas_probe
mkdir -p "${BUILD:-build}"
cat >"$probe.c" <<'END'
#include <cblas.h>
int main(void) {
    double x = 2.0;
    return cblas_ddot(1, &x, 1, &x, 1) == 4.0 ? 0 : 1;
}
END
for library in -lopenblas -lcblas -lblas; do
    if $CC "$probe.c" -o "$probe" $library 2>/dev/null && "$probe"; then
        echo $library
        break
    fi
done
rm -f "$probe" "$probe.c"
