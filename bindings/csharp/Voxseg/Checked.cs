using System;

namespace Voxseg
{
    /// <summary>Small vectors, copied: the caller's with the length that they must have, and the library's.</summary>
    internal static class Checked
    {
        public static T[] Copy<T>(T[] values, int length, string argument)
        {
            if (values == null)
            {
                throw new ArgumentNullException(argument);
            }
            if (values.Length != length)
            {
                throw new ArgumentException("found " + values.Length + " numbers, expected " + length, argument);
            }
            return (T[])values.Clone();
        }

        public static unsafe double[] Copy(double* values, int length)
        {
            var copy = new double[length];
            for (var i = 0; i < length; i++)
            {
                copy[i] = values[i];
            }
            return copy;
        }

        public static unsafe long[] Copy(ulong* values, int length)
        {
            var copy = new long[length];
            for (var i = 0; i < length; i++)
            {
                copy[i] = checked((long)values[i]);
            }
            return copy;
        }
    }
}
