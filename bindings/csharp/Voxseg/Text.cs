using System;
using System.Text;

namespace Voxseg
{
    /// <summary>Strings between .NET and the library: UTF-8, NUL-terminated.</summary>
    internal static unsafe class Text
    {
        private static readonly UTF8Encoding Strict = new UTF8Encoding(false, true);

        /// <summary>A borrowed string of the library as .NET's own; empty for NULL.</summary>
        public static string From(byte* value)
        {
            if (value == null)
            {
                return "";
            }
            var length = 0;
            while (value[length] != 0)
            {
                length++;
            }
            return Encoding.UTF8.GetString(value, length);
        }

        /// <summary>A string as the library takes it; null stays null.</summary>
        public static byte[] Utf8(string value, string argument)
        {
            if (value == null)
            {
                return null;
            }
            if (value.IndexOf('\0') >= 0)
            {
                throw new ArgumentException("expected text without NUL, found \"" + value.Replace("\0", "\\0") + "\"", argument);
            }
            return Strict.GetBytes(value + "\0");
        }
    }
}
