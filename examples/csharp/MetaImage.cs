using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using Voxseg;

/// <summary> A MetaImage: a small text header beside the raw voxels, in ITK's coordinates (LPS, millimetres). As much
/// of the format as the examples need. </summary>
internal static class MetaImage
{
    /// <summary>Reads int16 voxels; they stay in one managed array, which the volume reads in place.</summary>
    public static Volume Read(string path)
    {
        var fields = new Dictionary<string, string>();
        foreach (var line in File.ReadAllLines(path))
        {
            var equals = line.IndexOf('=');
            if (equals > 0)
            {
                fields[line.Substring(0, equals).Trim()] = line.Substring(equals + 1).Trim();
            }
        }
        string type, file;
        fields.TryGetValue("ElementType", out type);
        fields.TryGetValue("ElementDataFile", out file);
        if (type != "MET_SHORT" || file == null || file == "LOCAL")
        {
            throw new InvalidDataException(path + ": expected ElementType = MET_SHORT and an ElementDataFile of raw voxels");
        }
        var shape = Array.ConvertAll(Numbers(fields, "DimSize", 3, path), size => (long)size);
        var voxels = new short[shape[0] * shape[1] * shape[2]];
        var raw = File.ReadAllBytes(Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path)), file));
        if (raw.Length < 2L * voxels.Length)
        {
            throw new InvalidDataException(file + ": shorter than DimSize says");
        }
        Buffer.BlockCopy(raw, 0, voxels, 0, 2 * voxels.Length);
        var columns = Numbers(fields, "TransformMatrix", 9, path);
        return new Volume(voxels, shape[0], shape[1], shape[2])
        {
            Spacing = Numbers(fields, "ElementSpacing", 3, path),
            Origin = Numbers(fields, "Offset", 3, path),
            Direction = Transposed(columns),
        };
    }

    /// <summary>Writes labels the same way, on their grid.</summary>
    public static void Write(string path, LabelMap map)
    {
        var raw = Path.ChangeExtension(path, ".raw");
        File.WriteAllLines(path, new[]
        {
            "ObjectType = Image",
            "NDims = 3",
            "BinaryData = True",
            "BinaryDataByteOrderMSB = False",
            "CompressedData = False",
            "TransformMatrix = " + Text(Transposed(map.Direction)),
            "Offset = " + Text(map.Origin),
            "ElementSpacing = " + Text(map.Spacing),
            "DimSize = " + string.Join(" ", map.Shape),
            "ElementType = MET_UCHAR",
            "ElementDataFile = " + Path.GetFileName(raw),
        });
        File.WriteAllBytes(raw, map.Bytes);
    }

    /// <summary>MetaImage lists the axes' directions one after the other; voxseg has them as columns.</summary>
    private static double[] Transposed(double[] m)
    {
        return new[] { m[0], m[3], m[6], m[1], m[4], m[7], m[2], m[5], m[8] };
    }

    private static double[] Numbers(Dictionary<string, string> fields, string key, int count, string path)
    {
        string text;
        fields.TryGetValue(key, out text);
        var words = (text ?? "").Split(new[] { ' ' }, StringSplitOptions.RemoveEmptyEntries);
        if (words.Length != count)
        {
            throw new InvalidDataException(path + ": expected " + count + " numbers in " + key);
        }
        return Array.ConvertAll(words, word => double.Parse(word, CultureInfo.InvariantCulture));
    }

    private static string Text(double[] numbers)
    {
        return string.Join(" ", Array.ConvertAll(numbers, number => number.ToString("R", CultureInfo.InvariantCulture)));
    }
}
