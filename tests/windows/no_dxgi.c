/*
 * dxgi.dll for Wine without a screen: "there is no graphics device". ONNX Runtime for Windows asks for devices when its
 * environment is made, and Wine's own dxgi.dll then waits for a desktop window that nobody opens.
 */
__declspec(dllexport) long __stdcall CreateDXGIFactory2(unsigned flags, const void *id, void **factory) {
    (void)flags, (void)id;
    *factory = 0;
    return (long)0x887A0004; /* DXGI_ERROR_UNSUPPORTED */
}
__declspec(dllexport) long __stdcall CreateDXGIFactory1(const void *id, void **factory) {
    return CreateDXGIFactory2(0, id, factory);
}
__declspec(dllexport) long __stdcall CreateDXGIFactory(const void *id, void **factory) {
    return CreateDXGIFactory2(0, id, factory);
}
