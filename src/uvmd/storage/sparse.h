/* Copies of sparse files: what is a hole stays one. Blocks: for workers. */
#pragma once

/*
 * Makes the empty regular file @to what @from is, sharing its blocks where the file system can.
 * 0 or -errno.
 */
int sparse_copy(int from, int to);
