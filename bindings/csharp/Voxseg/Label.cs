using System.Collections.Generic;

namespace Voxseg
{
    /// <summary>One label of a model.</summary>
    public sealed class Label
    {
        internal Label(uint value, string name, int color, IReadOnlyDictionary<TermRole, Term> terms)
        {
            Value = value;
            Name = name;
            Color = color;
            Terms = terms;
        }

        /// <summary>What voxels of this structure get.</summary>
        public uint Value { get; }

        /// <summary>Its name.</summary>
        public string Name { get; }

        /// <summary>A colour to show it in: 0x00RRGGBB.</summary>
        public int Color { get; }

        /// <summary>Its coded terms, as DICOM segmentations carry them; without those that it has none of.</summary>
        public IReadOnlyDictionary<TermRole, Term> Terms { get; }

        /// <summary>Its value and name.</summary>
        public override string ToString()
        {
            return Value + " " + Name;
        }
    }

    /// <summary>A coded term: DICOM's coding scheme designator, code value and code meaning.</summary>
    public sealed class Term
    {
        internal Term(string scheme, string code, string meaning)
        {
            Scheme = scheme;
            Code = code;
            Meaning = meaning;
        }

        /// <summary>"SCT" for SNOMED CT.</summary>
        public string Scheme { get; }

        /// <summary>The code.</summary>
        public string Code { get; }

        /// <summary>What it means.</summary>
        public string Meaning { get; }
    }
}
