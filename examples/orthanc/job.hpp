// One segmentation as one of Orthanc's jobs: progress, cancelling and state are those of its /jobs interface.
#pragma once

#include <memory>
#include <string>

#include <voxseg.hpp>

#include "series.hpp"

/**
 * Submits a job that segments a series and stores the result; gives the job's identifier. Orthanc steps through jobs in
 * a few threads of its own and looks for a cancel only between steps, so the run has a thread to itself, and a step
 * only waits a moment for it.
 */
std::string submit(std::shared_ptr<const voxseg::Model> model, const voxseg::PlanOptions &options,
                   Series series, std::string id);
