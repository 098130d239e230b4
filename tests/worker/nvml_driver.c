/* A stand-in for the NVIDIA driver's libnvidia-ml.so.1.

   It answers from the table that NVML_TABLE names, read again at every call, with one GPU a line:
   UUID, total MiB, free MiB, utilization in percent. "-" is a value that this GPU does not report.
   Without the variable the driver is not loaded; without the file every query fails. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SUCCESS = 0,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    DRIVER_NOT_LOADED = 9,
    GPU_IS_LOST = 15
};

struct memory { unsigned long long total, free, used; };
struct utilization { unsigned int gpu, memory; };
struct row { char uuid[80], total[32], free[32], utilization[32]; };

/* The number of rows; `found` becomes the row of that index. -1 without a table. */
static int read_table(unsigned int index, struct row *found)
{
    FILE *file = fopen(getenv("NVML_TABLE"), "r");
    struct row row;
    unsigned int count = 0;
    if (!file)
        return -1;
    while (fscanf(file, "%79s %31s %31s %31s", row.uuid, row.total, row.free, row.utilization) == 4)
        if (count++ == index)
            *found = row;
    fclose(file);
    return (int)count;
}

static int row_of(void *device, struct row *row)
{
    unsigned int index = (unsigned int)(size_t)device - 1;
    return read_table(index, row) > (int)index ? SUCCESS : GPU_IS_LOST;
}

static int copy(const char *text, char *buffer, unsigned int length)
{
    snprintf(buffer, length, "%s", text);
    return SUCCESS;
}

int nvmlInitWithFlags(unsigned int flags)
{
    (void)flags;
    return getenv("NVML_TABLE") ? SUCCESS : DRIVER_NOT_LOADED;
}

int nvmlShutdown(void)
{
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned int *count)
{
    struct row row;
    int rows = read_table(0, &row);
    *count = rows < 0 ? 0 : (unsigned int)rows;
    return rows < 0 ? GPU_IS_LOST : SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device)
{
    struct row row;
    *device = (void *)(size_t)(index + 1);
    return read_table(index, &row) > (int)index ? SUCCESS : INVALID_ARGUMENT;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **device)
{
    struct row row;
    unsigned int index;
    for (index = 0; read_table(index, &row) > (int)index; index++) {
        *device = (void *)(size_t)(index + 1);
        if (!strcmp(row.uuid, uuid))
            return SUCCESS;
    }
    return NOT_FOUND;
}

int nvmlDeviceGetIndex(void *device, unsigned int *index)
{
    *index = (unsigned int)(size_t)device - 1;
    return SUCCESS;
}

int nvmlDeviceGetUUID(void *device, char *uuid, unsigned int length)
{
    struct row row;
    return row_of(device, &row) ? GPU_IS_LOST : copy(row.uuid, uuid, length);
}

int nvmlDeviceGetName(void *device, char *name, unsigned int length)
{
    (void)device;
    return copy("Stand-in", name, length);
}

int nvmlDeviceGetMemoryInfo(void *device, struct memory *memory)
{
    struct row row;
    if (row_of(device, &row))
        return GPU_IS_LOST;
    if (row.total[0] == '-' || row.free[0] == '-')
        return NOT_SUPPORTED;
    memory->total = strtoull(row.total, NULL, 10) << 20;
    memory->free = strtoull(row.free, NULL, 10) << 20;
    memory->used = memory->total - memory->free;
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *device, struct utilization *rates)
{
    struct row row;
    if (row_of(device, &row))
        return GPU_IS_LOST;
    if (row.utilization[0] == '-')
        return NOT_SUPPORTED;
    rates->gpu = (unsigned int)strtoul(row.utilization, NULL, 10);
    rates->memory = 0;
    return SUCCESS;
}
