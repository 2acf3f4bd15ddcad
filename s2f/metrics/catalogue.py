"""What readers see for the rows and metrics, and which metrics are shares."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "model": "generated",
        "general": "General on the same people",
        "chance": "chance",
        "mean_face": "mean face",
        "gender_mean_face": "mean face of the sex",
        "random_real": "someone else's photo",
        "gender_oracle": "sex alone",
        "noise_voice": "noise instead of a voice",
        "shuffled_voice": "someone else's voice",
        "probe": "linear map",
        "ceiling": "another photo of the person",
        "fid": "FID",
        "fid_real_real": "FID, real to real",
        "kid": "KID × 1000",
        "precision": "precision (realism)",
        "recall": "recall (variety)",
        "l1_pixel_255": "L1, pixels (0–255)",
        "l1_pixel_unit": "L1, pixels (−1 to 1)",
        "l1_embedding_sum": "L1, embedding (sum)",
        "l1_embedding_mean": "L1, embedding (mean)",
        "cosine_matched": "cosine, same person",
        "cosine_mismatched": "cosine, other person",
        "recall_at_1": "recall at 1",
        "recall_at_5": "recall at 5",
        "recall_at_10": "recall at 10",
        "identification_top_1": "identification, top 1",
        "identification_top_5": "identification, top 5",
        "matching_2way": "matching",
        "matching_within_gender": "matching within sex",
        "matching_within_gender_nationality": "matching within sex and nationality",
        "matching_same_video": "matching, own video",
        "matching_other_video": "matching, other videos",
        "matching_video_difference": "matching, own − other video",
        "matching_same_video_within_gender": "matching within sex, own video",
        "matching_other_video_within_gender": "matching within sex, other videos",
        "matching_video_difference_within_gender": "matching within sex, own − other video",
        "gender_agreement": "sex shown",
        "diversity": "diversity",
        "diversity_share": "diversity, share of real",
        "consistency": "spread within a speaker",
    }
)

PERCENT = frozenset(
    {
        "precision",
        "recall",
        "recall_at_1",
        "recall_at_5",
        "recall_at_10",
        "identification_top_1",
        "identification_top_5",
        "matching_2way",
        "matching_within_gender",
        "matching_within_gender_nationality",
        "matching_same_video",
        "matching_other_video",
        "matching_video_difference",
        "matching_same_video_within_gender",
        "matching_other_video_within_gender",
        "matching_video_difference_within_gender",
        "gender_agreement",
        "diversity_share",
    }
)
