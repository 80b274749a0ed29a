/* Limits of network devices: SetNetworkThrottle's arguments; see network.h. */
#include "client/late.h"
#include "uvmctl/network.h"

static int append_limits(sd_bus_message *message, const ThrottleArgLimits *limits)
{
        const struct {
                const char *key;
                uint64_t value;
        } numbers[] = {
                {"BytesPerSecond", limits->bytes},
                {"BytesBurst", limits->bytes_burst},
                {"OperationsPerSecond", limits->packets},
                {"OperationsBurst", limits->packets_burst},
        };
        int r = sd_bus_message_open_container(message, 'a', "{sv}");

        for (size_t i = 0; r >= 0 && i < sizeof(numbers) / sizeof(numbers[0]); i++)
                if (numbers[i].value)
                        r = sd_bus_message_append(message, "{sv}", numbers[i].key, "t",
                                                  numbers[i].value);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int throttle(sd_bus *bus, const char *sandbox, const char *interface, const char *direction,
                    const ThrottleArgLimits *limits)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        if (!limits->given)
                return 0;
        r = client_message_new(bus, sandbox, CLIENT_SANDBOX, "SetNetworkThrottle", &message);
        if (r)
                return r;
        r = sd_bus_message_append(message, "ss", interface, direction);
        if (r >= 0)
                r = append_limits(message, limits);
        return r < 0 ? client_fail_errno(r, "cannot make the call")
                     : client_send_late(bus, message, NULL, NULL);
}

int network_throttle_one(sd_bus *bus, const char *sandbox, const char *interface,
                         const ThrottleArg *arg)
{
        int r = throttle(bus, sandbox, interface, "transmit", &arg->transmit);

        return r ? r : throttle(bus, sandbox, interface, "receive", &arg->receive);
}

int network_throttle_all(const NetworkOptions *options, sd_bus *bus, const char *sandbox)
{
        int r = 0;

        for (size_t i = 0; !r && i < options->n_throttles; i++)
                r = network_throttle_one(bus, sandbox, options->throttles[i].interface,
                                         &options->throttles[i]);
        return r;
}
