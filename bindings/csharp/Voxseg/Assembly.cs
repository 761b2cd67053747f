using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

// Never from the current folder or the search path of programs, where a file of that name may be anybody's.
[assembly: DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
[assembly: InternalsVisibleTo("Voxseg.Tests")]
