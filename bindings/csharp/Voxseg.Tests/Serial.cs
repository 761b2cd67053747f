#if NET
// The tests share a plan, which runs one volume at a time.
[assembly: Xunit.CollectionBehavior(DisableTestParallelization = true)]
#endif
