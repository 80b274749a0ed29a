/*
 * The named errors of the bus interface, and the failure of an object, kept for those who ask later.
 * Object code returns a negative errno and, where a person has to act, sets an sd_bus_error whose
 * message says what to do next.
 */
#pragma once

#include <systemd/sd-bus.h>

#define ERROR_INVALID_ARGUMENT       "org.uvm1.Error.InvalidArgument"
#define ERROR_INVALID_NAME           "org.uvm1.Error.InvalidName"
#define ERROR_UNKNOWN_OPTION         "org.uvm1.Error.UnknownOption"
#define ERROR_NAME_IN_USE            "org.uvm1.Error.NameInUse"
#define ERROR_WRONG_STATE            "org.uvm1.Error.WrongState"
#define ERROR_NO_SUCH_SANDBOX        "org.uvm1.Error.NoSuchSandbox"
#define ERROR_NO_SUCH_CONTAINER      "org.uvm1.Error.NoSuchContainer"
#define ERROR_NO_SUCH_PROCESS        "org.uvm1.Error.NoSuchProcess"
#define ERROR_NO_SUCH_IMAGE          "org.uvm1.Error.NoSuchImage"
#define ERROR_IMAGE_IN_USE           "org.uvm1.Error.ImageInUse"
#define ERROR_BAD_ARCHIVE            "org.uvm1.Error.BadArchive"
#define ERROR_BAD_FIRMWARE           "org.uvm1.Error.BadFirmware"
#define ERROR_NO_KVM                 "org.uvm1.Error.NoKvm"
#define ERROR_BOOT_FAILED            "org.uvm1.Error.BootFailed"
#define ERROR_BOOT_TIMEOUT           "org.uvm1.Error.BootTimeout"
#define ERROR_OUT_OF_MEMORY          "org.uvm1.Error.OutOfMemory"
#define ERROR_COMMAND_NOT_FOUND      "org.uvm1.Error.CommandNotFound"
#define ERROR_COMMAND_NOT_EXECUTABLE "org.uvm1.Error.CommandNotExecutable"
#define ERROR_NOT_SUPPORTED          "org.uvm1.Error.NotSupported"
#define ERROR_LIMIT_EXCEEDED         "org.uvm1.Error.LimitExceeded"
#define ERROR_NO_SUCH_MOUNT          "org.uvm1.Error.NoSuchMount"
#define ERROR_MOUNT_EXISTS           "org.uvm1.Error.MountExists"
#define ERROR_MOUNT_BUSY             "org.uvm1.Error.MountBusy"
#define ERROR_SOURCE_CHANGED         "org.uvm1.Error.SourceChanged"
#define ERROR_NO_SUCH_VOLUME         "org.uvm1.Error.NoSuchVolume"
#define ERROR_VOLUME_EXISTS          "org.uvm1.Error.VolumeExists"
#define ERROR_VOLUME_IN_USE          "org.uvm1.Error.VolumeInUse"
#define ERROR_NO_SUCH_NETWORK        "org.uvm1.Error.NoSuchNetwork"
#define ERROR_NETWORK_EXISTS         "org.uvm1.Error.NetworkExists"
#define ERROR_NETWORK_IN_USE         "org.uvm1.Error.NetworkInUse"
#define ERROR_PORT_IN_USE            "org.uvm1.Error.PortInUse"
#define ERROR_TIMEOUT                "org.uvm1.Error.Timeout"
#define ERROR_FAILED                 "org.uvm1.Error.Failed"

/*
 * Sets @error (which may be NULL) and returns @r, a negative errno, whatever sd-bus would map the
 * name to. An error that is set already stays: the first one is nearest to the cause.
 */
int error_set(sd_bus_error *error, int r, const char *name, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* Answers a call that failed with @r: by @error if it is set, else as Failed with strerror(-r). */
void error_reply(sd_bus_message *call, int r, const sd_bus_error *error);
