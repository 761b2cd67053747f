using System;
using System.Collections.Generic;

namespace Voxseg
{
    /// <summary>
    /// What a failing call of the library throws, one class for each band of statuses. The message names what is wrong,
    /// what was found and what was expected. A cancelled run throws <see cref="OperationCanceledException"/> instead.
    /// </summary>
    public class VoxsegException : Exception
    {
        private static readonly string[] Keys =
            { "argument", "found", "expected", "file", "tensor", "path", "reason", "needed", "budget",
              "channel", "voxel" };

        internal VoxsegException(Status status, string message, IReadOnlyDictionary<string, string> details)
            : base(message)
        {
            Status = status;
            Details = details;
        }

        /// <summary>What went wrong; its number never changes its meaning (docs/abi.md).</summary>
        public Status Status { get; }

        /// <summary>
        /// The parts of the message, each where it applies: argument, found, expected, file, tensor, path, reason,
        /// needed, budget, channel, voxel.
        /// </summary>
        public IReadOnlyDictionary<string, string> Details { get; }

        /// <summary>Throws unless the status is success. Frees the error.</summary>
        internal static void Check(int status, ErrorHandle error)
        {
            using (error)
            {
                if (status != NativeMethods.VXS_OK)
                {
                    throw From(status, error);
                }
            }
        }

        /// <summary>For functions without an error object.</summary>
        internal static unsafe void Check(int status)
        {
            if (status != NativeMethods.VXS_OK)
            {
                throw Of(status, Text.From(NativeMethods.vxs_status_name(status)), new Dictionary<string, string>());
            }
        }

        /// <summary>The exception for an error that the caller frees.</summary>
        internal static unsafe VoxsegException From(int status, ErrorHandle error)
        {
            var details = new Dictionary<string, string>();
            foreach (var key in Keys)
            {
                var value = NativeMethods.vxs_error_detail(error, Text.Utf8(key, "key"));
                if (value != null)
                {
                    details[key] = Text.From(value);
                }
            }
            return Of(status, Text.From(NativeMethods.vxs_error_message(error)), details);
        }

        private static VoxsegException Of(int number, string message, IReadOnlyDictionary<string, string> details)
        {
            var status = (Status)number;
            switch (number / 100)
            {
                case 1: return new InputException(status, message, details);
                case 2: return new ModelException(status, message, details);
                case 3: return new DeviceException(status, message, details);
                case 4: break;
                default: return new InternalErrorException(status, message, details);
            }
            switch (status)
            {
                case Status.Busy: return new PlanBusyException(status, message, details);
                case Status.MemoryBudget: return new MemoryBudgetException(status, message, details);
                default: return new RunException(status, message, details);
            }
        }
    }

    /// <summary>1xx: the volume or another argument can't be used.</summary>
    public class InputException : VoxsegException
    {
        internal InputException(Status status, string message, IReadOnlyDictionary<string, string> details)
            : base(status, message, details) { }
    }

    /// <summary>2xx: the model can't be read, or needs what this version doesn't implement.</summary>
    public class ModelException : VoxsegException
    {
        internal ModelException(Status status, string message, IReadOnlyDictionary<string, string> details)
            : base(status, message, details) { }
    }

    /// <summary>3xx: ONNX Runtime or the device can't be used.</summary>
    public class DeviceException : VoxsegException
    {
        internal DeviceException(Status status, string message, IReadOnlyDictionary<string, string> details)
            : base(status, message, details) { }
    }

    /// <summary>4xx: the run didn't come to its end.</summary>
    public class RunException : VoxsegException
    {
        internal RunException(Status status, string message, IReadOnlyDictionary<string, string> details)
            : base(status, message, details) { }
    }

    /// <summary>402: the plan is running a segmentation already.</summary>
    public class PlanBusyException : RunException
    {
        internal PlanBusyException(Status status, string message, IReadOnlyDictionary<string, string> details)
            : base(status, message, details) { }
    }

    /// <summary>403: the run would need more memory than the budget allows.</summary>
    public class MemoryBudgetException : RunException
    {
        internal MemoryBudgetException(Status status, string message, IReadOnlyDictionary<string, string> details)
            : base(status, message, details) { }
    }

    /// <summary>9xx: a defect of the library.</summary>
    public class InternalErrorException : VoxsegException
    {
        internal InternalErrorException(Status status, string message, IReadOnlyDictionary<string, string> details)
            : base(status, message, details) { }
    }
}
