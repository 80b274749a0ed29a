/* One HTTP request on standard input, answered on standard output: what uvm-exporter@.service runs. */
#pragma once

/* A status for exit(). */
int exporter_run(void);
