using System;

namespace Voxseg
{
    /// <summary>The library's messages, those of ONNX Runtime among them. Without a receiver it is silent.</summary>
    public static unsafe class Log
    {
        private static readonly vxs_log_callback Callback = OnMessage;
        private static volatile Action<LogLevel, string> receiver;

        /// <summary>Sets the process-wide receiver.</summary>
        /// <param name="receive">
        /// Gets each message, from any thread and from several at once. It must not call this library; what it throws is
        /// dropped. Null ends it.
        /// </param>
        /// <param name="level">The least level that is told.</param>
        public static void Receive(Action<LogLevel, string> receive, LogLevel level = LogLevel.Warning)
        {
            Library.Check();
            ErrorHandle error;
            if (receive != null)
            {
                receiver = receive;
            }
            VoxsegException.Check(
                NativeMethods.vxs_log_set_callback(receive == null ? null : Callback, null, (int)level, out error), error);
            receiver = receive;
        }

        private static void OnMessage(void* unused, int level, byte* message)
        {
            try
            {
                var receive = receiver;
                if (receive != null)
                {
                    receive((LogLevel)level, Text.From(message));
                }
            }
            catch (Exception)
            {
                // Nothing may be thrown through the library's frames, and there is nobody to tell.
            }
        }
    }
}
