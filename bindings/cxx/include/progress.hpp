// Who is told how far a run is. Derive from it.
#pragma once

namespace voxseg_rs {

class Progress {
public:
    virtual ~Progress() = default;

    /**
     * Called on the thread that runs, with the share that is done. False cancels; so does an exception, whose text
     * the exception of the run then has.
     */
    virtual bool go_on(double fraction) = 0;
};

} // namespace voxseg_rs
