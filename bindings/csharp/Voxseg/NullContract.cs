#if !NETCOREAPP3_0_OR_GREATER
// What the newer frameworks have. Compilers know these attributes by their names: in this assembly no reference is null
// but where one of them says so, and a compiler of C# 8 or newer tells users.
namespace System.Diagnostics.CodeAnalysis
{
    /// <summary>An argument or a value that is set may be null.</summary>
    [AttributeUsage(AttributeTargets.Parameter | AttributeTargets.Property)]
    internal sealed class AllowNullAttribute : Attribute { }

    /// <summary>A value that comes back may be null.</summary>
    [AttributeUsage(AttributeTargets.Property | AttributeTargets.ReturnValue)]
    internal sealed class MaybeNullAttribute : Attribute { }
}
#endif
